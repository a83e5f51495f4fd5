"""Answers: is this reranker better, by how much, and is it significant?"""
