"""What things are: frozen values that every layer may hold. Nothing here decides or talks."""
