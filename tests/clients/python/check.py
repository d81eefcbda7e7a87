"""Uses quotad through redis-py, as its users do.

check.py PORT LOCKED_PORT PASSWORD: the first server is open and empty, the second asks for the password.
"""

import sys
import time

import redis

PORT, LOCKED_PORT, PASSWORD = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def connect(protocol, **options):
    return redis.Redis(host="127.0.0.1", port=PORT, protocol=protocol, socket_timeout=30, **options)


def refusal(call, *words):
    """The text of the error that a call ends with."""
    try:
        answer = call(*words)
    except redis.RedisError as error:
        return str(error)
    raise AssertionError(f"{words} was answered with {answer!r} instead of an error")


@check
def handshake(client, protocol):
    assert client.ping()
    info = client.client_info()
    assert int(info["resp"]) == protocol, info
    assert info["lib-name"].startswith("redis-py"), info
    server = client.info()
    assert server["redis_version"] and server["role"] == "master" and server["loading"] == 0, server


@check
def authentication(_client, protocol):
    def locked(**options):
        return redis.Redis(host="127.0.0.1", port=LOCKED_PORT, protocol=protocol, **options)

    assert locked(password=PASSWORD).ping()
    assert locked(username="default", password=PASSWORD).ping()
    try:
        locked(password="guess").ping()
    except redis.AuthenticationError as error:
        assert "invalid username-password" in str(error).lower() or "WRONGPASS" in str(error), error
    else:
        raise AssertionError("a wrong password was accepted")
    try:
        locked().ping()
    except redis.RedisError as error:
        assert "authenticat" in str(error).lower(), error
    else:
        raise AssertionError("no password was accepted")


@check
def a_pipeline_of_ten_thousand(client, _protocol):
    pipeline = client.pipeline(transaction=False)
    for _ in range(10_000):
        pipeline.incr("many")
    assert pipeline.execute() == list(range(1, 10_001))


@check
def binary_keys_and_values(client, _protocol):
    every_byte = bytes(range(256))
    assert client.set(every_byte, every_byte * 4_096)
    assert client.get(every_byte) == every_byte * 4_096
    assert client.delete(every_byte) == 1


@check
def databases(client, protocol):
    other = connect(protocol, db=3)
    other.set("where", "three")
    assert client.get("where") is None and other.get("where") == b"three"
    other.flushdb()
    assert other.dbsize() == 0


@check
def errors(client, _protocol):
    client.set("word", "abc")
    assert "not an integer" in refusal(client.incr, "word")
    assert "unknown command" in refusal(client.execute_command, "NONSENSE", "a")
    assert "wrong number of arguments" in refusal(client.execute_command, "GET")
    assert client.ping(), "the connection lives on"


@check
def scan(client, _protocol):
    client.mset({f"scan:{number}": number for number in range(2_000)})
    found = set(client.scan_iter(match="scan:*", count=100))
    assert len(found) == 2_000, len(found)


@check
def expiry(client, _protocol):
    client.set("brief", 1, ex=100)
    assert 90 <= client.ttl("brief") <= 100
    assert client.expiretime("brief") >= int(time.time())


@check
def throttle(client, _protocol):
    assert client.execute_command("CL.THROTTLE", "user:7", 15, 30, 60, 1) == [0, 16, 15, -1, 2]
    answers = [client.execute_command("CL.THROTTLE", "user:7", 15, 30, 60, 1)[0] for _ in range(16)]
    assert answers == [0] * 15 + [1], answers


@check
def take(client, _protocol):
    words = ["QUOTA.TAKE", "org/acme/agent/7", 3, "BUDGET", 5, "PER", "TOTAL"]
    first, second = client.execute_command(*words), client.execute_command(*words)
    assert first[:3] == [1, 3, 2], first
    assert second[0] == 0 and second[2] == 2, second


@check
def settings(client, _protocol):
    assert client.config_get("timeout") == {"timeout": "0"} or client.config_get("timeout") == {b"timeout": b"0"}
    assert "databases" in {as_text(name) for name in client.config_get("*")}
    assert client.command_count() > 50
    assert "get" in {as_text(name) for name in client.command()}


@check
def kill_and_reconnect(client, protocol):
    victim = connect(protocol, single_connection_client=True, client_name="victim")
    number = victim.client_id()
    assert any(entry["name"] == "victim" for entry in client.client_list())
    assert client.client_kill_filter(_id=number) == 1
    assert victim.ping(), "the client connects again by itself"
    assert victim.client_id() != number


def as_text(word):
    return word.decode() if isinstance(word, bytes) else word


def main():
    passed = failed = 0
    for protocol in (2, 3):
        for function in CHECKS:
            client = connect(protocol)
            client.flushall()
            try:
                function(client, protocol)
                passed += 1
            except Exception as error:  # Whatever a check ends with is told, and the next one runs.
                failed += 1
                print(f"redis-py, RESP{protocol}: {function.__name__}: {type(error).__name__}: {error}", file=sys.stderr)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
