"""What a mix does to each thing a sample carries: functions of its parents, shares and regions, never of a key."""
