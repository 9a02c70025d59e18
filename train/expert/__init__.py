"""Trajectories by an expert that knows the world and works through the real agent, and their cleaning."""
