"""Full ranking under honest protocols: cases, splits, metrics, contenders and their tuning."""
