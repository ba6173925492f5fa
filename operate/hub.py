"""The Hugging Face hub: which commit a model's name stands for now, and what its card says."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import httpx2
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RevisionNotFoundError,
)

from contract.model_cards import ModelCard, model_card

TIMEOUT_S = 15
EXAMPLE = "openai/clip-vit-base-patch32"
WEIGHTS = (".safetensors", ".bin")
"""The first kind that a repository has is fetched."""


class HubError(Exception):
    """There is no such model, or it may not be had. The text says so, and what to do."""


class UnreachableError(HubError):
    """The hub does not answer, so that nothing is known."""


@dataclass(frozen=True)
class HubModel:
    """A model at one commit, of 40 hexadecimal digits. `size_bytes`: of its weights, 0 where the hub does not say."""

    id: str
    revision: str
    card: ModelCard
    size_bytes: int


def look_up(model_id: str, revision: str = "", endpoint: str | None = None) -> HubModel:
    """The model at a branch, a tag or a commit, by default its newest. `endpoint`: another hub than HF_ENDPOINT names.

    Raises HubError, and UnreachableError among these.
    """
    try:
        found = HfApi(endpoint=endpoint or None).model_info(
            model_id, revision=revision or None, timeout=TIMEOUT_S, files_metadata=True
        )
    except GatedRepoError:
        raise HubError(
            f"{model_id} is given to those only who have accepted its terms: do so on its page on the hub, then "
            "export HF_TOKEN=… of the same account"
        ) from None
    except RevisionNotFoundError:
        raise HubError(f"{model_id} has no revision {revision!r}: its page on the hub lists them") from None
    except HFValidationError:
        raise HubError(f"{model_id!r} is no name of the hub's, which are like {EXAMPLE}") from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status not in (401, 403, 404):
            raise UnreachableError(f"the Hugging Face hub answered {status}: try again later") from None
        # which of these a model that there is not has, depends on who asks
        raise HubError(
            f"there is no model {model_id!r} on the Hugging Face hub, or it is private (then export HF_TOKEN=…): "
            f"correct the name, which is like {EXAMPLE}"
        ) from None
    except (OSError, httpx2.HTTPError) as error:  # the former also where HF_HUB_OFFLINE is set
        raise UnreachableError(
            f"the Hugging Face hub can't be reached ({type(error).__name__}): check the network and the proxy, and "
            "that HF_HUB_OFFLINE is not set"
        ) from None
    said = vars(found.card_data) if found.card_data else {}
    card = model_card(model_id, {name: _texts(value) for name, value in said.items()})
    return HubModel(model_id, str(found.sha), card, _weights_bytes(found.siblings or ()))


def _texts(value: Any) -> list[str]:
    return [str(each) for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]


def _weights_bytes(files: Iterable[Any]) -> int:
    sizes = {file.rfilename: file.size or 0 for file in files}
    kinds = (sum(size for name, size in sizes.items() if name.endswith(kind)) for kind in WEIGHTS)
    return next(filter(None, kinds), 0)
