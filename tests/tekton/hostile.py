"""Texts that shells, Tekton, the kubelet, YAML or JSON would like to change."""

HOSTILE = [
    'it\'s "quoted" `and` more',
    "$(params.spec)",
    "$$(HOME)",
    "$",
    "{{$.inputs.parameters['x']}}",
    '"already": json',
    '"a JSON string"',
    "two\nlines\n",
    "carriage\r\nreturn",
    "tab\there",
    "",
    " blanks ",
    "null",
    "true",
    "3.0",
    "[1]",
    "\u202e\ufeff\x00\x1b[31m",
    "🚗",
    "\\u0024",
    "\\",
]
