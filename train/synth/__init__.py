"""Training data by atomic capabilities from one's own corpus (Step-DeepResearch, arXiv 2512.20491, section 3).

cli, commands, opening, build       the commands, and `make` from end to end
ports, brief, rows, work    what capabilities work with; facts and passages; rows on disk; many at once
corpus, foldoc, entities    documents, passages and links; two ways to come by linked ones
graph, searching, sections, clues, words, definitions, verdicts      what is read out of a corpus
writer, chat, extractive, extracts, forms, prompts/     who writes: any chat model, or the corpus itself
checker                     who checks: the judger's client, where a judge is at hand
subgraphs, walks, planning, reading, verification, reports, reflection, tasks, difficulty       the capabilities
seeking, solvers            who answers where there is no model: demonstrations, and a plain baseline
filters, grounds, leaks, mixing, repetition, duplicates, hints, clean       what is dropped, and by what
export, plot                datasets and pictures
"""
