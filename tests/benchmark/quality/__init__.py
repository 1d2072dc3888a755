"""How well gc-tuner tunes: real services under load, beside what people use today."""
