"""Which options programs are compiled with."""

import logging

import jax
import jax.numpy as jnp
import pytest

from w2dual import backend


@pytest.fixture(autouse=True)
def _forget():
    backend._graphs.cache_clear()
    yield
    backend._graphs.cache_clear()


def test_a_gpu_gets_graphs_but_for_what_the_user_sets(monkeypatch):
    asked = []
    monkeypatch.setattr(backend.jax, "jit", lambda f, **options: asked.append(options) or _Program)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_graph_min_graph_size=5")
    backend.jit(lambda x: x)
    name = "xla_gpu_enable_command_buffer"
    assert asked[-1]["compiler_options"] == {name: backend.GRAPHS[name]}
    backend.jit(lambda x: x, graphs=False)
    assert "compiler_options" not in asked[-1]


class _Program:
    @staticmethod
    def lower(*_):
        return _Program

    @staticmethod
    def compile():
        return None


def test_a_version_without_graphs_goes_without_and_says_so(monkeypatch, caplog):
    monkeypatch.setattr(backend, "GRAPHS", {"xla_gpu_of_another_version": "1"})
    with caplog.at_level(logging.WARNING):
        assert backend._graphs("") == {}
    assert "xla_gpu_of_another_version" in caplog.text


def test_a_version_without_graphs_of_convolutions_has_the_others(monkeypatch):
    class Refusing(_Program):
        def __init__(self, options):
            self.options = options

        def lower(self, *_):
            if any("CONVOLUTION" in value for value in self.options.values()):
                raise jax.errors.JaxRuntimeError("no such command")
            return _Program

    def jit(_, compiler_options):
        return Refusing(compiler_options)

    monkeypatch.setattr(backend.jax, "jit", jit)
    found = backend._graphs("")
    assert found.keys() == backend.GRAPHS.keys()
    assert found[backend.COMMANDS].endswith(",WHILE")


def test_products_of_a_step_have_the_accuracy_that_is_named_on_a_gpu_alone(monkeypatch):
    def traced() -> str:
        with backend.products():
            return str(jax.make_jaxpr(lambda a: a @ a)(jnp.ones((2, 2))))

    monkeypatch.setattr(backend, "PRODUCTS_GPU", "TF32_TF32_F32_X3")
    assert "TF32" not in traced()
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert "TF32_TF32_F32_X3" in traced()
