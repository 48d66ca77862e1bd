"""The chaos kit: whole lifecycles through the bridge under scripted faults. See README.md."""
