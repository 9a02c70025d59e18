"""Answers in the shape that services without a key send them."""

DUCK = b"""<html><body><div class="result results_links result--ad"><a class="result__a" href="https://ad.com">Ad</a></div>
<div class="result results_links web-result"><h2><a rel="nofollow" class="result__a"
href="//duckduckgo.com/l/?uddg=https%3A%2F%2Fa.org%2Fmill%3Fx%3D1&amp;rut=abc">The <b>Mill</b></a></h2>
<a class="result__snippet" href="#">It grinds <b>barley</b> &amp; oats &lt;daily&gt;.</a></div>
<div class="result"><a class="result__a" href="https://b.org/">B</a></div></body></html>"""
ATOM = b"""<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom"><title>q</title>
<entry><id>http://arxiv.org/abs/2512.20491v1</id><title>Deep
 Research</title><summary>  We show that 1 &lt; 2.
</summary></entry><entry><title>no id</title></entry></feed>"""
IDS = b'{"header": {}, "esearchresult": {"count": "2", "idlist": ["123", "456", "x"]}}'
ARTICLES = b"""<?xml version="1.0"?><!DOCTYPE PubmedArticleSet><PubmedArticleSet><PubmedArticle><MedlineCitation>
<PMID>123</PMID><Article><ArticleTitle>Salt &amp; <i>cod</i></ArticleTitle><Abstract>
<AbstractText Label="AIM">To dry.</AbstractText>
<AbstractText Label="RESULT">It dried <sup>2</sup>.</AbstractText></Abstract></Article></MedlineCitation>
</PubmedArticle><PubmedArticle><MedlineCitation><PMID>456</PMID><Article><ArticleTitle>B</ArticleTitle></Article></MedlineCitation>
</PubmedArticle></PubmedArticleSet>"""
