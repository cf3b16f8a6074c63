"""The recipe for large bases: a Hugging Face checkpoint folder and annotations in, a fine-tuned GGUF judge out.

In: a folder with config.json, safetensors shards and tokenizer.json (Qwen2, Qwen3 or Llama), criteria (``annotation``)
and a recipe (``recipe``, configs/large.toml). Out: ``judge-F16.gguf`` or ``judge-BF16.gguf``, the quantised file if
asked for, ``dev.jsonl`` (a probability a criterion), ``result.json``, and a checkpoint from which an interrupted
training goes on to the same result. May fail: ``InputError`` (base, annotations, recipe, disk), ``UsageError`` (the
extra ``train`` is not installed). Nothing is fetched: all files are local, and code inside a base is never run.

The way of the data: ``base`` -> ``geometry`` -> ``prompt`` -> ``encoding`` -> ``model`` + ``fit`` (with ``checkpoint``)
-> ``export`` (with ``vocabulary``) -> ``quantise``; ``fine_tune`` walks it, ``command`` is its entry.
"""
