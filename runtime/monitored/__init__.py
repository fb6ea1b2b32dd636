"""`tf.train.MonitoredTrainingSession` and its kin: sessions that hooks watch, and the hooks."""
