"""The ops, one definition each: `math`, `reduce`, `array`, `linalg`, `nn`, `state`, `random`, `control`, `text`."""
