"""Language models that are asked: live, in batches, or here. No answer is paid twice."""
