"""The lab, which implements the command line: data, models, training, metrics, reports."""
