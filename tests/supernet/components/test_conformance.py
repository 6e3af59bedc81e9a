"""What every component must be: the conformance suite over the registry."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from supernet.slicing import centred_axes, cut

if TYPE_CHECKING:
    from tests.supernet.components.conftest import Case, Options

FULL, SMALL, ODD = 64, 16, 23


def _stride(module: nn.Module, case: Case, options: Options) -> int:
    if case.entry.kind != "stem":
        return 1
    return int(options.get("stride", 2))


def _part(full: nn.Module, small: nn.Module) -> dict[str, Tensor]:
    """The slicing rule: the values of `full` that `small` uses."""
    parameters, centred = dict(full.named_parameters()), centred_axes(small)
    return {
        name: cut(parameters[name], part.shape, centred.get(name, ())).contiguous()
        for name, part in small.named_parameters()
    }


def test_every_option_keeps_the_shape(case: Case) -> None:
    for options in case.each_option():
        module = case.build(ODD, options)
        x = case.images(ODD, batch=1)
        stride = _stride(module, case, options)
        expected = (1, ODD, *(-(-size // stride) for size in x.shape[2:]))
        assert module(x).shape == expected, options


@pytest.mark.parametrize("batch", [2, 3])
def test_any_size_down_to_one_position_works(case: Case, batch: int) -> None:
    for options in (case.smallest(), case.largest()):
        x = case.images(SMALL, batch, spatial=(1,) * case.ndim)
        out = case.build(SMALL, options)(x)
        assert out.shape == (batch, SMALL, *(1,) * case.ndim)
        assert out.isfinite().all()


def test_a_module_runs_at_other_sizes_than_before(case: Case) -> None:
    """Nothing is remembered of the sizes seen: the second output is that of a module which only saw the second size."""
    if case.entry.name == "batch":
        pytest.skip("batch normalisation uses the statistics of the batch")
    for options in (case.smallest(), case.largest()):
        used, x = case.build(SMALL, options), case.images(SMALL, spatial=(13, 6, 3)[: case.ndim])
        used(case.images(SMALL))
        assert torch.equal(used(x), case.build(SMALL, options)(x))


def test_shapes_alone_are_enough(case: Case) -> None:
    """Costs are counted on the meta device, where there are no values to look at."""
    for options in (case.smallest(), case.largest()):
        expected = case.build(SMALL, options)(case.images(SMALL)).shape
        with torch.no_grad():
            out = case.skeleton(SMALL, options)(case.images(SMALL).to("meta"))
        assert out.is_meta and out.shape == expected


def test_an_image_does_not_see_the_others_in_its_batch(case: Case) -> None:
    if case.entry.name == "batch":
        pytest.skip("batch normalisation uses the statistics of the batch")
    module, x = case.build(SMALL), case.images(SMALL, batch=3)
    torch.testing.assert_close(module(x)[:1], module(x[:1]), rtol=1e-5, atol=1e-5)


def test_parameters_only_and_each_of_them_matters(case: Case) -> None:
    for options in (case.smallest(), case.largest()):
        module = case.build(32, options)
        assert not list(module.buffers())
        out = module(case.images(32))
        if out.requires_grad:
            out.square().sum().backward()
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None and parameter.grad.count_nonzero() > 0, name


def test_every_part_fits_inside_the_largest(case: Case) -> None:
    full = case.skeleton(FULL, case.largest(), in_channels=FULL)
    for options in case.each_option():
        for width in (SMALL, ODD, FULL):
            _part(full, case.skeleton(width, options, in_channels=width))


@pytest.mark.parametrize("width", [SMALL, 24])
def test_a_slice_computes_what_the_extracted_module_computes(case: Case, width: int) -> None:
    full = case.build(FULL, case.largest())
    for options in (case.smallest(), case.largest()):
        x = case.images(width)
        part = _part(full, case.skeleton(width, options))
        sliced = functional_call(case.skeleton(width, options), part, (x,))
        extracted = case.build(width, options, seed=5)
        extracted.load_state_dict(part)
        assert torch.equal(sliced, extracted(x))


def test_gradients_are_equal_inside_the_slice_and_zero_outside(case: Case) -> None:
    full, options, x = case.build(FULL, case.largest()), case.smallest(), case.images(24)
    part = _part(full, case.skeleton(24, options))
    out = functional_call(case.skeleton(24, options), part, (x,))
    if not part:
        pytest.skip("no parameters")
    out.square().sum().backward()
    extracted = case.build(24, options)
    extracted.load_state_dict(part)
    extracted(x).square().sum().backward()
    centred = centred_axes(extracted)
    parameters = dict(full.named_parameters())
    for name, small in extracted.named_parameters():
        gradient = parameters[name].grad
        assert gradient is not None and small.grad is not None
        inside = cut(gradient, small.shape, centred.get(name, ()))
        assert torch.equal(inside, small.grad), name
        inside.zero_()
        assert gradient.count_nonzero() == 0, name


def test_the_output_scale_is_steady_across_widths(case: Case) -> None:
    wide, narrow = case.images(FULL, batch=4), case.images(SMALL, batch=4)
    for options in ({}, case.smallest(), case.largest()):
        full, skeleton = case.build(FULL, options), case.skeleton(SMALL, options)
        out = functional_call(skeleton, _part(full, skeleton), (narrow,))
        assert 1 / 3 <= out.std() / full(wide).std() <= 3, options
    assert 1 / 3 <= case.build(SMALL)(narrow).std() / case.build(FULL)(wide).std() <= 3


@pytest.mark.parametrize("autocast", [False, True])
def test_bfloat16_is_finite_and_near_float32(case: Case, autocast: bool) -> None:
    module, x = case.build(32), case.images(32)
    expected = module(x).detach()
    if not autocast:
        module, x = module.bfloat16(), x.bfloat16()
    x.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        out = module(x)
    assert autocast or out.dtype == torch.bfloat16
    out.float().square().mean().backward()
    gradients = [tensor.grad for tensor in (x, *module.parameters())]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
    assert (out.float() - expected).std() < 0.03 * expected.std()


def test_the_memory_format_changes_nothing(case: Case) -> None:
    module, x = case.build(24), case.images(24)
    channels_last = x.movedim(1, -1).contiguous().movedim(-1, 1)
    torch.testing.assert_close(module(channels_last), module(x), rtol=1e-5, atol=1e-5)


def test_the_docstring_names_a_paper_and_its_year(case: Case) -> None:
    assert case.entry.summary.endswith(".")
    assert case.entry.use.endswith("."), "one line on when to use it"
    assert re.search(r"\b(19|20)\d\d\b", case.entry.source)
