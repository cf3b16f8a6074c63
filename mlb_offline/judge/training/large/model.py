"""The base in memory with a fresh adapter on it, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlb_offline.errors import InputError
from mlb_offline.judge.training.large.base import Base
from mlb_offline.judge.training.large.encoding import Example
from mlb_offline.judge.training.large.libraries import library
from mlb_offline.judge.training.large.recipe import LargeRecipe
from mlb_offline.language import tr

_ADAPTED = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
_WRAPPER = "base_model.model."
_HALVES = (".lora_A.default.weight", ".lora_B.default.weight")


def load_with_adapter(base: Base, configuration: Any, recipe: LargeRecipe) -> Any:
    """The base (frozen) with an untrained LoRA adapter, on the GPU if there is one (``peft.PeftModel``).

    The adapter is in float32 whatever the base is in; its initial values depend on the recipe's seed alone.

    Raises:
        InputError: there is not enough memory, or the weights cannot be read.
    """
    torch, transformers, peft = library("torch"), library("transformers"), library("peft")
    gpu = torch.cuda.is_available()
    wanted = recipe.precision if recipe.precision != "auto" else "bfloat16" if gpu else "float32"
    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(
            base.folder,
            config=configuration,
            dtype=getattr(torch, wanted),
            device_map={"": 0} if gpu else None,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
        )
    except (OSError, RuntimeError, ValueError, MemoryError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            tr(f"基座无法载入：{reason}", f"the base cannot be loaded: {reason}"),
            file=base.folder,
            remedy=tr("核对内存或显存，以及基座文件", "check memory (or the GPU's), and the base's files"),
        ) from None
    model.config.use_cache = False
    torch.manual_seed(recipe.seed)
    model = peft.get_peft_model(
        model,
        peft.LoraConfig(
            r=recipe.rank,
            lora_alpha=recipe.alpha,
            lora_dropout=recipe.dropout,
            target_modules=_ADAPTED,
            bias="none",
            task_type="CAUSAL_LM",
        ),
    )
    if recipe.gradient_checkpointing:
        model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    return model


def trained(model: Any) -> dict[str, Any]:
    """The adapter's parameters by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def adapter_update(adapter: dict[str, Any], tensor: str, scaling: float) -> Any | None:
    """What the adapter adds to a tensor of the base: scaling x B x A, float32; None where it adds nothing.

    Args:
        adapter: as ``trained`` names it.
        tensor: name in the base, such as ``model.layers.0.self_attn.q_proj.weight``.
        scaling: alpha / rank.
    """
    first, second = (_WRAPPER + tensor.removesuffix(".weight") + half for half in _HALVES)
    if first not in adapter:
        return None
    return scaling * (adapter[second].detach().cpu().float() @ adapter[first].detach().cpu().float())


def probabilities(model: Any, examples: Sequence[Example], yes: int, no: int) -> list[float]:
    """The probability of 是 against 否 for each example, from their first tokens after one forward pass."""
    torch = library("torch")
    device = next(model.parameters()).device
    model.eval()
    found = []
    with torch.inference_mode():
        for example in examples:
            ids = torch.tensor([example.prompt], device=device)
            logits = model(input_ids=ids, logits_to_keep=1).logits[0, -1].double()
            found.append(float(torch.sigmoid(logits[yes] - logits[no])))
    return found
