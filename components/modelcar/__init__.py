"""Promote a model: from where it was published to the manifest that serves it.

A promotion runs along these values, each a frozen dataclass::

    PromotionSpec ── resolve ──▶ ModelSnapshot ── plan ──▶ ImagePlan ── push ──▶ PushedImage
                                                                                      │ register
                                                       Delivered ◀── patch ── RegisteredVersion

The whole of it, from a file that a user wrote::

    from pathlib import Path
    from modelcar.promotion import promote
    from modelcar.spec import load_spec

    promotion = promote(load_spec(Path("promotion.yaml")))
    print(promotion.push.image, promotion.patch.commit)

The image alone::

    from modelcar.build import BuildRequest, execute, prepare
    from modelcar.distribution.client import Access
    from modelcar.reference import ImageReference, Platform

    request = BuildRequest(
        source="hf://org/name",
        destination=ImageReference.parse("registry.example.com/team/name:1"),
        base_image=None,
        platforms=(Platform.parse("linux/amd64"),),
    )
    image = execute(prepare(request, Access()))

Where things are: `reference` and `errors` are the words everything else speaks; `snapshot` says what a source is, and
`sources` has them; `image` is pure description, `distribution` is HTTP; `plan`, `mover`, `publishing` and `push` bring
them together; `model_registry` and `delivery` are the two places that hear of the result; `promotion` is the order of
events, `cli` the command. Imports only ever point downwards in that list read backwards, and nothing heavy is imported
before it is used.
"""
