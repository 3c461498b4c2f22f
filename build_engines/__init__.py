"""The offline builder: a catalogue entry becomes a certified version in the model repository."""
