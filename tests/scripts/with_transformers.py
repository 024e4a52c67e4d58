"""transformers' Trainer: it fetches the batches of an update before it computes with the first."""

import importlib.util
import sys

# as datasets and evaluate do, which scripts import before it
assert importlib.util.find_spec("torch") is not None

import torch  # noqa: E402
from _weights import digest  # noqa: E402
from transformers import (  # noqa: E402
    BertConfig,
    BertForSequenceClassification,
    PrinterCallback,
    Trainer,
    TrainingArguments,
    set_seed,
)

set_seed(0)
config = BertConfig(
    vocab_size=50,
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=16,
)
model = BertForSequenceClassification(config)
data = [{"input_ids": torch.randint(50, (6,)), "labels": torch.tensor(i % 2)} for i in range(40)]
arguments = TrainingArguments(
    sys.argv[1],
    per_device_train_batch_size=4,
    num_train_epochs=2,
    gradient_accumulation_steps=2,
    report_to=[],
    use_cpu=True,
    save_strategy="no",
    eval_strategy="epoch",
    logging_strategy="no",
    disable_tqdm=True,
)
trainer = Trainer(model, arguments, train_dataset=data, eval_dataset=data[:8])
# it prints how long evaluations took, which is never the same twice
trainer.remove_callback(PrinterCallback)
trainer.train()
print("weights", digest(model))
