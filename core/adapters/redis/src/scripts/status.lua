-- Answers one letter, and writes nothing.
return status()
