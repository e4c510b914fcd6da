"""One of the four servers of an OpenStack Swift, run by Debian's Python: ``swift_node.py NAME FOLDER``.

The folder holds ``NAME-server.conf``, ``swift.conf`` and the rings. Debian's own programs read ``/etc/swift`` and want
a memcached beside them; of the two filters below, named in the proxy's pipeline, one stands for that.
"""

import sys
from pathlib import Path


class _NoCache:
    """Stands for memcached, and remembers nothing: what one request changed the next one sees."""

    def get(self, *arguments, **options):
        return None

    def set(self, *arguments, **options):
        return None

    incr = delete = set


def no_cache(global_configuration, **configuration):
    """A filter that gives the proxy the cache without which it answers nothing."""

    def outer(application):
        def answer(environment, start):
            environment["swift.cache"] = _NoCache()
            return application(environment, start)

        return answer

    return outer


def short_heads(global_configuration, **configuration):
    """A filter that ends an answer to HEAD at its headers.

    A HEAD for what isn't there is else answered with the end mark of a chunked body, and HTTP clients trip over it.
    """

    def outer(application):
        def answer(environment, start):
            if environment["REQUEST_METHOD"] != "HEAD":
                return application(environment, start)

            def start_short(status, headers, *rest):
                if not any(name.lower() == "content-length" for name, _ in headers):
                    headers = [*headers, ("Content-Length", "0")]
                return start(status, headers, *rest)

            return application(environment, start_short)

        return answer

    return outer


def main(name, folder):
    from swift.common import utils

    utils.SWIFT_CONF_FILE = str(Path(folder, "swift.conf"))
    from swift.common.wsgi import run_wsgi

    options = {}
    if name == "object":
        from swift.obj.server import global_conf_callback

        options["global_conf_callback"] = global_conf_callback
    return run_wsgi(str(Path(folder, f"{name}-server.conf")), f"{name}-server", verbose=True, **options)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
