"""Lightning: backward runs inside the optimizer's step, and validation follows each epoch."""

import logging
import warnings

import lightning
import torch
from _weights import digest
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

warnings.simplefilter("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Model(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def training_step(self, batch, number):
        return (self.layer(batch[0]) - batch[0]).square().mean()

    def validation_step(self, batch, number):
        self.log("error", (self.layer(batch[0]) - batch[0]).square().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


torch.manual_seed(0)
data = TensorDataset(torch.randn(40, 4))
model = Model()
trainer = lightning.Trainer(
    max_epochs=2,
    accelerator="cpu",
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(model, DataLoader(data, batch_size=4, shuffle=True), DataLoader(data, batch_size=20))
print("weights", digest(model))
