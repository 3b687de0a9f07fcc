"""Requests that make, change and remove objects."""

from __future__ import annotations

import json
import random
from http import HTTPStatus
from typing import Any, Final

from modelcar_sandbox.kubernetes.call import Call, Object
from modelcar_sandbox.kubernetes.kinds import NAMESPACE, POD
from modelcar_sandbox.kubernetes.objects import change, change_status, make, mark_deleted, now
from modelcar_sandbox.kubernetes.patches import apply_operations, merge, merge_strategically
from modelcar_sandbox.kubernetes.reading import list_objects
from modelcar_sandbox.kubernetes.refusal import Refusal, already_exists, bad_request, conflict, forbidden, invalid
from modelcar_sandbox.kubernetes.store import Key
from modelcar_sandbox.kubernetes.validation import check, complete, parse_object

Answer = tuple[HTTPStatus, Object]

_SUFFIX: Final = "bcdfghjklmnpqrstvwxz2456789"
_LONGEST_PREFIX: Final = 58
_KEPT_NAMESPACES: Final = ("default", "kube-public", "kube-system")
_JSON: Final = "application/json"
_MERGE: Final = "application/merge-patch+json"
_OPERATIONS: Final = "application/json-patch+json"
_STRATEGIC: Final = "application/strategic-merge-patch+json"


def create(call: Call) -> Answer:
    """Make an object."""
    _check_content_type(call, _JSON, "")
    given = parse_object(call.kind, call.body)
    metadata = given["metadata"]
    if call.kind.namespaced and metadata.get("namespace", call.namespace) != call.namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    if metadata.get("resourceVersion"):
        message = "resourceVersion should not be set on objects to be created"
        raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, message)
    name = metadata.get("name") or ""
    if not name and (prefix := metadata.get("generateName")):
        name = prefix[:_LONGEST_PREFIX] + "".join(random.choices(_SUFFIX, k=5))
    made = make(call.kind, given, call.namespace, name)
    key = Key(call.kind.resource, call.namespace, name)
    with call.store.alone():
        call.check_namespace()
        check(call.kind, made)
        if call.store.get(key) is not None:
            raise already_exists(call.kind, name)
        if not call.dry:
            made = call.store.put(key, made) or made
    return HTTPStatus.CREATED, made


def replace(call: Call) -> Answer:
    """Put an object, or its status, in the place of the one that is there."""
    _check_content_type(call, _JSON, "")
    given = parse_object(call.kind, call.body)
    with call.store.alone():
        old = call.find()
        version = given["metadata"].get("resourceVersion")
        if not version and not call.kind.unconditional:
            why = "Invalid value: 0: must be specified for an update"
            raise invalid(call.kind, call.name, "metadata.resourceVersion", why, called=call.kind.plural)
        return HTTPStatus.OK, _update(call, old, given)


def patch(call: Call) -> Answer:
    """Change an object, or its status, in part."""
    _check_content_type(call, _OPERATIONS, _MERGE, *(() if call.kind.custom else (_STRATEGIC,)))
    try:
        wanted = json.loads(call.body)
    except ValueError as error:
        raise bad_request(f"error decoding patch: {error}") from error
    with call.store.alone():
        old = call.find()
        given: Any
        if call.content_type == _OPERATIONS:
            given = apply_operations(old, wanted)
        else:
            given = (merge if call.content_type == _MERGE else merge_strategically)(old, wanted)
        return HTTPStatus.OK, _update(call, old, complete(call.kind, given))


def delete(call: Call) -> Answer:
    """Remove an object, or when it has finalizers, mark it."""
    options = _parse_options(call)
    with call.store.alone():
        old = call.find()
        _check_preconditions(call, old, options.get("preconditions") or {})
        if call.kind is NAMESPACE:
            return HTTPStatus.OK, _delete_namespace(call, old)
        gone = _remove(call, call.key, old)
    if old["metadata"].get("finalizers") or call.kind is POD:
        return HTTPStatus.OK, gone
    details = {"name": call.name, **({"group": call.kind.group} if call.kind.group else {}), "kind": call.kind.plural}
    success = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    return HTTPStatus.OK, {**success, "details": {**details, "uid": old["metadata"]["uid"]}}


def delete_collection(call: Call) -> Answer:
    """Remove all objects that the selectors leave."""
    with call.store.alone():
        status, listed = list_objects(call)
        for one in listed["items"]:
            metadata = one["metadata"]
            key = Key(call.kind.resource, metadata["namespace"], metadata["name"])
            _remove(call, key, call.store.get(key) or one)
    return status, listed


def _update(call: Call, old: Object, given: Object) -> Object:
    _check_same(call, old, given["metadata"])
    new = change_status(old, given) if call.subresource else change(call.kind, old, given)
    check(call.kind, new)
    if new == old:
        return old
    if "deletionTimestamp" in old["metadata"] and not new["metadata"].get("finalizers"):
        if not call.dry:
            call.store.put(call.key, None)
        return new
    return new if call.dry else call.store.put(call.key, new) or new


def _check_same(call: Call, old: Object, metadata: Object) -> None:
    """See that the object is still the one that the caller has read.

    Raises:
        Refusal: Another name, namespace, uid or resourceVersion.
    """
    given = metadata.get("name") or call.name
    if given != call.name:
        raise bad_request(f"the name of the object ({given}) does not match the name on the URL ({call.name})")
    if metadata.get("namespace", call.namespace) != call.namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    uid = metadata.get("uid") or old["metadata"]["uid"]
    if uid != old["metadata"]["uid"]:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old['metadata']['uid']}"
        raise conflict(call.kind, call.name, why)
    if metadata.get("resourceVersion") not in (None, "", old["metadata"]["resourceVersion"]):
        raise conflict(call.kind, call.name)


def _check_content_type(call: Call, *known: str) -> None:
    if call.content_type not in known:
        message = "the body of the request was in an unknown format - accepted media types include: "
        message += ", ".join(filter(None, known))
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message, "UnsupportedMediaType")


def _parse_options(call: Call) -> Object:
    if not call.body:
        return {}
    try:
        options = json.loads(call.body)
    except ValueError as error:
        raise bad_request(f"error decoding options: {error}") from error
    return options if isinstance(options, dict) else {}


def _check_preconditions(call: Call, old: Object, wanted: Object) -> None:
    metadata = old["metadata"]
    if wanted.get("uid") not in (None, metadata["uid"]):
        why = f"the UID in the precondition ({wanted['uid']}) does not match the UID in record ({metadata['uid']})"
        why += ". The object might have been deleted and then recreated"
        raise conflict(call.kind, call.name, why, called=call.kind.title)
    version = metadata["resourceVersion"]
    if wanted.get("resourceVersion") not in (None, version):
        why = f"the ResourceVersion in the precondition ({wanted['resourceVersion']}) does not match the"
        why += f" ResourceVersion in record ({version}). The object might have been modified"
        raise conflict(call.kind, call.name, why, called=call.kind.title)


def _remove(call: Call, key: Key, old: Object) -> Object:
    if old["metadata"].get("finalizers"):
        marked = mark_deleted(call.kind, old)
        return marked if call.dry or marked == old else call.store.put(key, marked) or marked
    return old if call.dry else call.store.put(key, None) or old


def _delete_namespace(call: Call, old: Object) -> Object:
    if call.name in _KEPT_NAMESPACES:
        raise forbidden(call.kind, call.name, "this namespace may not be deleted")
    ending = {**old, "metadata": old["metadata"] | {"deletionTimestamp": now()}, "status": {"phase": "Terminating"}}
    if call.dry:
        return ending
    ending = call.store.put(call.key, ending) or ending
    for key in call.store.keys_in(call.name):
        call.store.put(key, None)
    call.store.put(call.key, None)
    return ending
