"""What a ModelCar image is: deterministic layers, their packing, config and manifest. Moves no bytes itself."""
