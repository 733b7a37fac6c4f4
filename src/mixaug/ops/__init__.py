"""What a mix does to each kind of field: functions of index, lam and region; they draw nothing."""
