"""Changes a module in one place at a time and says which change no test notices."""
