"""Reinforcement learning of the agent, rewarded by the judger: PPO of our own, GRPO through TRL, one set of episodes.

Step-DeepResearch, arXiv 2512.20491, section 4: multi-turn episodes with real tools, one terminal reward from the judger
under the strict mapping, PPO with a learned critic and GAE with gamma = lambda = 1. The demos have the built-in judge,
and so the mapping EXPECTED.

    sampler      many episodes on one model, their turns generated together
    episodes     tasks x group through the real agent, as token sequences
    reward       one stream of cases to the judger, open while the episodes run
    ppo/, grpo/  what is done with them
    evaluate     the mean judged reward of a model on held-out tasks
"""
