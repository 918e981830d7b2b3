#!/bin/sh
# An image has no services to start.
exit 101
