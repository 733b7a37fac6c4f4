"""What a mix does to each thing a sample carries: functions of its sources, shares and regions, never of a key."""
