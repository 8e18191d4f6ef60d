"""Huawei Ascend NPUs, compiled for by CANN."""
