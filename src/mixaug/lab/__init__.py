"""The lab: what the command line does: data, models, training, metrics, the report."""
