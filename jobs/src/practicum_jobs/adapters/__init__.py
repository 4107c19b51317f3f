"""The only modules that import torch, transformers, trl, peft, ray and datasets; each wraps one job of theirs."""
