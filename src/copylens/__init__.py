"""copylens finds out whether medical image generators copy the patients they were trained on."""
