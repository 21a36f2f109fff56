#!/usr/bin/env python3
"""Measures one kind of load on one broker and prints the report of `spoke-sim load` (JSON).

Everything behind the mode goes to `spoke-sim load MODE`; `./dev bench MODE --help` lists it.
"""
import argparse
import json
import os
import sys

import brokers


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(brokers.ROOT, "build", "release"),
                        help="build directory with our programs")
    parser.add_argument("--broker", choices=("ours", "mosquitto"), default="ours")
    parser.add_argument("--spoke-broker", metavar="PATH", help="another build of ours")
    parser.add_argument("--shards", type=int, default=1, help="threads of ours (1)")
    parser.add_argument("--pretty", action="store_true", help="one value per line")
    parser.add_argument("mode", metavar="MODE", help="p2p, fanout, fanin, rtt, conn, subs, ...")
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="...")
    return parser.parse_args(arguments)


def broker_of(options):
    if options.broker == "mosquitto":
        return brokers.Mosquitto()
    path = options.spoke_broker or brokers.program("spoke-broker", options.build)
    return brokers.Ours(path, options.shards)


def main():
    options = parse(sys.argv[1:])
    brokers.stop_on_signals()
    try:
        generator = brokers.program("spoke-sim", options.build)
        arguments = [options.mode, *options.rest]
        if "--help" in options.rest or "-h" in options.rest:
            os.execv(generator, [generator, "load", *arguments])
        brokers.raise_open_files()
        broker_core, generator_core = brokers.cores()
        # More than one thread may not share one core.
        core = broker_core if options.shards == 1 or options.broker == "mosquitto" else None
        with brokers.running(broker_of(options), core) as endpoint:
            report, code = brokers.load(generator, arguments, endpoint, generator_core)
        print(json.dumps(report, indent=2 if options.pretty else None))
        return code
    except brokers.BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
