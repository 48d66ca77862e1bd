"""What the bridge costs in time, memory, calls and money, as ratios that hold on any machine."""
