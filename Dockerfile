# The server with its page: core and `app` extra, no torch.
#
#   docker build --tag serkit .
#   docker run --rm --publish 127.0.0.1:8000:8000 --env SERKIT_TOKEN --read-only serkit
#
# Inside a container the server must listen on all addresses, and therefore wants a token (docs/server.md).

FROM node:22-slim AS page
WORKDIR /serkit
COPY page/package.json page/package-lock.json page/.npmrc page/
RUN cd page && npm ci
COPY page page
RUN cd page && npm run build

FROM python:3.13-slim AS wheel
WORKDIR /serkit
COPY requirements requirements
RUN pip install --no-cache-dir --constraint requirements/all.txt setuptools
COPY pyproject.toml README.md LICENSE THIRD_PARTY.md ./
COPY src src
COPY --from=page /serkit/src/serkit/app/page/dist src/serkit/app/page/dist
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .

FROM python:3.13-slim
# Every file by its hash, then serkit itself, which must find all it needs there.
RUN --mount=type=bind,source=requirements,target=/requirements \
    --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip install --no-cache-dir --require-hashes --requirement /requirements/app.txt \
    && pip install --no-cache-dir --no-deps /wheels/serkit-*.whl \
    && pip check
# Names and licences of what is inside; their texts are in the *.dist-info folders that it names.
COPY THIRD_PARTY.md LICENSE /usr/share/doc/serkit/
RUN useradd --create-home --uid 10001 serkit
USER serkit
WORKDIR /home/serkit
# Python's own buffer would keep the log back.
ENV PYTHONUNBUFFERED=1
# serkit sets this itself; here it also holds for a program of yours that imports onnxruntime first.
ENV ORT_DISABLE_TELEMETRY=1
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=3)"]
ENTRYPOINT ["serkit"]
CMD ["serve", "--host", "0.0.0.0"]
