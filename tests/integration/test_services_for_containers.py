"""The fixtures that tests with containers stand on: what is promised of them."""

from __future__ import annotations

import pytest


@pytest.mark.docker
@pytest.mark.timeout(900)
def test_a_container_of_the_products_image_reaches_database_and_broker(
    docker_engine, product_image, services_for_containers
) -> None:
    code = (
        "import psycopg2, redis, orchord, pathlib, sys;"
        "psycopg2.connect(sys.argv[1].replace('+psycopg2', '')).close();"
        "assert redis.Redis.from_url(sys.argv[2]).ping();"
        "print(pathlib.Path(sys.argv[3]).is_file())"
    )
    said = docker_engine.containers.run(
        product_image,
        [
            "python",
            "-c",
            code,
            services_for_containers.database,
            services_for_containers.broker,
            __file__.replace("integration", "e2e").replace("test_services_for_containers", "conftest"),
        ],
        remove=True,
    )
    assert said.strip() == b"True"


@pytest.mark.kubernetes
def test_the_cluster_answers(kubernetes: str) -> None:
    assert kubernetes
