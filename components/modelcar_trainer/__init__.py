"""A small real trainer that keeps to the contract of `modelcar.training`; needs the extra `train`.

The library does not import it: a spec names it, `entryPoint: modelcar_trainer.finetune:train`.
"""
