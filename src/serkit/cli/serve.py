"""`serkit serve`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from serkit.app import access
from serkit.app.limits import Limits
from serkit.app.logs import LogFormat
from serkit.cli.predict import complete_model
from serkit.errors import UserError
from serkit.terminal import note

#: The class holds the defaults; an object would import the reader of audio, which the help does not need.
_DEFAULT = Limits

Model = Annotated[
    list[str] | None,
    typer.Option(
        help="Name of a recognizer, or its folder. Repeatable; the first is the default.",
        autocompletion=complete_model,
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help=f"File with the token that requests must carry. Default: the variable {access.TOKEN_VARIABLE}.",
        show_default=False,
    ),
]
AllowedHost = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Host name to accept besides localhost if there is no token, e.g. of a proxy. Repeatable.",
        show_default=False,
    ),
]

Workers = Annotated[
    int,
    typer.Option(
        min=1,
        max=256,
        help="Processes that serve, behind one port. Each has threads, queue and limits of its own. Linux, macOS.",
    ),
]
LogForm = Annotated[
    LogFormat,
    typer.Option(help="Log on stderr: text, or JSON with an object per message and per request that has ended."),
]

JobsFolder = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Folder for recordings and answers of jobs while they are kept. Default: memory.",
        show_default=False,
    ),
]


def serve(
    model: Model = None,
    host: Annotated[str, typer.Option(help="Address to listen on; a public address requires a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any free port.")] = 8000,
    token_file: TokenFile = None,
    allowed_host: AllowedHost = None,
    workers: Workers = 1,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Parallel predictions of a worker. Default: the cores are shared.")
    ] = None,
    queue: Annotated[int, typer.Option(min=0, help="Requests that may wait; further ones get 503.")] = _DEFAULT.queue,
    streams: Annotated[int, typer.Option(min=0, help="Maximum number of live streams.")] = _DEFAULT.streams,
    max_megabytes: Annotated[float, typer.Option(min=0.001, help="Maximum size of a request body.")] = _DEFAULT.body
    / 1e6,
    max_seconds: Annotated[float, typer.Option(min=1, help="Maximum length of a recording, in s.")] = _DEFAULT.longest,
    max_channels: Annotated[int, typer.Option(min=1, help="Maximum number of channels.")] = _DEFAULT.channels,
    timeout: Annotated[float, typer.Option(min=1, help="Maximum time to an answer, in s.")] = _DEFAULT.answer,
    jobs: Annotated[int, typer.Option(min=0, help="Jobs (long recordings) that are kept; 0: none.")] = _DEFAULT.jobs,
    jobs_folder: JobsFolder = None,
    job_seconds: Annotated[
        float, typer.Option(min=1, help="Maximum length of the recording of a job, in s.")
    ] = _DEFAULT.job_longest,
    log_requests: Annotated[bool, typer.Option("--log-requests", help="Log each request to stderr.")] = False,
    log_format: LogForm = LogFormat.text,
) -> None:
    """Serve recognizers over HTTP: REST, live streams, and a web page at /.

    Ctrl-C or SIGTERM stops the server once pending requests are finished. SIGHUP loads the models again without a
    restart. See docs/server.md.

    Example: serkit serve --model default --model emodb --port 8080
    """
    from serkit.app import logs
    from serkit.app.models import Models
    from serkit.app.origins import check_name
    from serkit.app.run import listen, run, url
    from serkit.app.supervisor import Settings, Supervisor
    from serkit.cli.doctor import cores

    token = _token(token_file)
    access.check_address(host, token)
    if workers > 1 and os.name == "nt":
        raise UserError(f"--workers {workers}: Windows knows one only; start several servers on ports of their own")
    limits = Limits(
        body=round(min(max_megabytes * 1e6, sys.maxsize)),  # `inf` is no limit
        longest=max_seconds,
        channels=max_channels,
        answer=timeout,
        queue=queue,
        streams=streams,
        jobs=jobs,
        job_longest=job_seconds,
    )
    if jobs_folder is not None and not jobs_folder.is_dir():
        raise UserError(f"--jobs-folder {jobs_folder}: no such folder; make it, readable by you alone")
    settings = Settings(
        models=tuple(model or ["default"]),
        limits=limits,
        token=token,
        threads=threads or max(1, cores() // workers),
        allowed_hosts=tuple(check_name(name) for name in allowed_host or []),
        jobs_folder=jobs_folder,
        log_format=log_format,
        log_requests=log_requests,
    )
    logs.configure(log_format, log_requests)
    models = Models.load(settings.models)
    with listen(host, port) as listening:
        line = f"serkit: {', '.join(models.recognizers)} on {url(listening)} (Ctrl-C stops)"
        if workers > 1:
            del models  # each worker loads its own
            Supervisor(settings, workers, listening, lambda: note(line)).run()
        else:
            run(settings.application(models), listening, log_requests, lambda: note(line))


def _token(file: Path | None) -> str | None:
    try:
        return access.read_token(file)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--token-file {file}: {getattr(error, 'strerror', None) or 'not text'}") from None
