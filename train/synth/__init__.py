"""Training data by atomic capabilities from one's own corpus (Step-DeepResearch, arXiv 2512.20491, section 3).

corpus, graph, searching     documents, passages and links; who is linked to whom; what a search shows
brief                        facts, passages, what is asked: what every writer is given
writer, chat, extractive     who writes: any chat model, or sentences of the corpus alone
checker                      who checks: the judger's client, where a judge is at hand
rows, work                   rows with provenance, kept on disk as they are made; many at once, with an end in sight
subgraphs, walks, planning, reading, verification, reports, reflection, difficulty, tasks       the capabilities
filters, duplicates, clean   what is dropped, and by what
"""
