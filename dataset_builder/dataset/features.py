"""The features of the public dataset."""

from datasets import ClassLabel, Features, List, Value

from dataset_builder.build.settings import QUERY_TYPES, UNION
from dataset_builder.pools.methods import METHODS

# What a row's pool is from: one method, several, or the first stage of an imported run.
RETRIEVERS = (*METHODS, UNION, "run")

FEATURES = Features(
    {
        "query_id": Value("string"),
        "query": Value("string"),
        "query_type": ClassLabel(names=list(QUERY_TYPES)),
        "source_docid": Value("string"),
        "retriever": ClassLabel(names=list(RETRIEVERS)),
        "retrieved_passages": List(
            {
                "docid": Value("string"),
                "title": Value("string"),
                "text": Value("string"),
                "rank": Value("int32"),
                "teacher_score": Value("float32"),
                "retriever_rank": Value("int32"),
                "retriever_score": Value("float32"),
            }
        ),
        "teacher": Value("string"),
        "label_status": Value("string"),
        "repaired_places": Value("int32"),
    }
)
