"""PPO at scale on verl: its trainer, its rollout servers, our agent and our judge.

verl (https://github.com/verl-project/verl, Apache-2.0) owns the cluster, the weights and the update. Three things are
ours: the agent loop (`train.verl.agent_loop`), the reward (`train.verl.reward`) and the rows it trains on
(`train.verl.data`). The configuration that puts them together is in `train/configs/verl`.
"""
