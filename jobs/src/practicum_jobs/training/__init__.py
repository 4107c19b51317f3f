"""What stages that train share: checks before training, detectors around it, and the record after it.

Nothing here knows which trainer runs: a stage names its trainer and its encoding, and the rest follows from a
:class:`~practicum_core.stages.training.TrainingConfig`.
"""
