"""The commands, one file each: a function of the command's name, thin over public functions."""
