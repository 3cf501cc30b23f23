#!/usr/bin/env bash
# OpenTelemetry's SDKs with one share of traces (`traceidratio`): do they keep the same traces?
#
# Guess: yes. The decision is made from the trace id alone, so that services that each decide for themselves keep a trace whole or not at
# all. Of 1,000 ids at a tenth, each SDK keeps the same hundred or so.
#
# Found: three ways to decide. Python, Go and Rust keep the same traces. Of Java's, half are among those. Node's have no more in common
# with them than two throws of dice, a tenth of a tenth. At a half, as many of the traces that Python keeps are whole in Java or Node
# as are torn.
set -euo pipefail

work=$(mktemp -d)
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip install --quiet opentelemetry-sdk==1.45.2
npm install --silent --no-save --no-fund --no-audit --prefix "$work" @opentelemetry/sdk-trace-base@2.12.0 @opentelemetry/api@1.9.1

# Ids as the SDKs make them: 128 random bits, here the same ones each time.
python3 -c '
import random

random.seed(1)
for _ in range(1000):
    print(f"{random.getrandbits(128):032x}")
' > ids

cat > finding.py <<'PYTHON'
import sys

from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased

sampler = TraceIdRatioBased(float(sys.argv[1]))
for line in sys.stdin:
    if sampler.should_sample(None, int(line, 16), "chat").decision is not Decision.DROP:
        print(line.strip())
PYTHON

cat > finding.mjs <<'NODE'
import { readFileSync } from 'node:fs';
import { ROOT_CONTEXT } from '@opentelemetry/api';
import { SamplingDecision, TraceIdRatioBasedSampler } from '@opentelemetry/sdk-trace-base';

const sampler = new TraceIdRatioBasedSampler(Number(process.argv[2]));
const ids = readFileSync(0, 'utf8').trim().split('\n');
console.log(ids.filter((id) => sampler.shouldSample(ROOT_CONTEXT, id).decision !== SamplingDecision.NOT_RECORD).join('\n'));
NODE

mkdir go
cat > go/main.go <<'GO'
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

func main() {
	share, err := strconv.ParseFloat(os.Args[1], 64)
	if err != nil {
		panic(err)
	}
	sampler := sdk.TraceIDRatioBased(share)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		id, err := trace.TraceIDFromHex(lines.Text())
		if err != nil {
			panic(err)
		}
		if sampler.ShouldSample(sdk.SamplingParameters{TraceID: id}).Decision != sdk.Drop {
			fmt.Println(id)
		}
	}
}
GO
(
  cd go
  go mod init finding
  go get go.opentelemetry.io/otel/sdk@v1.47.0
  go mod tidy
  go build -o ../finding-go .
) 2> /dev/null

mkdir -p rust/src
cat > rust/Cargo.toml <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"

[dependencies]
opentelemetry = { version = "=0.33.1", default-features = false, features = ["trace"] }
opentelemetry_sdk = { version = "=0.33.1", default-features = false, features = ["trace"] }
TOML

cat > rust/src/main.rs <<'RUST'
use opentelemetry::trace::{SpanKind, TraceId};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample};

fn main() {
    let share = std::env::args().nth(1).unwrap().parse().unwrap();
    let sampler = Sampler::TraceIdRatioBased(share);
    for line in std::io::stdin().lines() {
        let id = TraceId::from_hex(&line.unwrap()).unwrap();
        if sampler.should_sample(None, id, "chat", &SpanKind::Client, &[], &[]).decision != SamplingDecision::Drop {
            println!("{id}");
        }
    }
}
RUST
cargo build --quiet --manifest-path rust/Cargo.toml

cat > pom.xml <<'MAVEN'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>finding</groupId>
  <artifactId>finding</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>io.opentelemetry</groupId>
      <artifactId>opentelemetry-sdk-trace</artifactId>
      <version>1.68.0</version>
    </dependency>
  </dependencies>
</project>
MAVEN

cat > Finding.java <<'JAVA'
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.context.Context;
import io.opentelemetry.sdk.trace.samplers.Sampler;
import io.opentelemetry.sdk.trace.samplers.SamplingDecision;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.List;

public class Finding {
    public static void main(String[] arguments) {
        Sampler sampler = Sampler.traceIdRatioBased(Double.parseDouble(arguments[0]));
        new BufferedReader(new InputStreamReader(System.in)).lines().filter(id -> sampler
                .shouldSample(Context.root(), id, "chat", SpanKind.CLIENT, Attributes.empty(), List.of())
                .getDecision() != SamplingDecision.DROP).forEach(System.out::println);
    }
}
JAVA
mvn --quiet --batch-mode dependency:build-classpath -Dmdep.outputFile=classpath > log 2>&1 || { cat log; exit 1; }
javac -cp "$(cat classpath)" Finding.java

venv/bin/pip list --format freeze | grep '^opentelemetry-sdk='
npm ls --prefix "$work" --depth 0 | grep -oE '@opentelemetry/sdk-trace-base@[0-9.]+'
grep -oE 'otel/sdk v[0-9.]+' go/go.mod
grep -E '^opentelemetry_sdk ' rust/Cargo.toml | cut -d, -f1
grep -oE 'opentelemetry-sdk-trace-[0-9.]+[0-9]' classpath | head -1
seen=$(
  set -e
  for share in 0.1 0.5; do
    venv/bin/python finding.py "$share" < ids | sort > python
    node finding.mjs "$share" < ids | sort > node
    ./finding-go "$share" < ids | sort > go.kept
    rust/target/debug/finding "$share" < ids | sort > rust.kept
    java -cp ".:$(cat classpath)" Finding "$share" < ids | sort > java
    for sdk in python go.kept rust.kept java node; do
      echo "$share, ${sdk%.kept}: keeps $(wc -l < "$sdk"), $(comm -12 python "$sdk" | wc -l) of them as Python"
    done
  done
)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
0.1, python: keeps 91, 91 of them as Python
0.1, go: keeps 91, 91 of them as Python
0.1, rust: keeps 91, 91 of them as Python
0.1, java: keeps 89, 45 of them as Python
0.1, node: keeps 101, 10 of them as Python
0.5, python: keeps 492, 492 of them as Python
0.5, go: keeps 492, 492 of them as Python
0.5, rust: keeps 492, 492 of them as Python
0.5, java: keeps 492, 243 of them as Python
0.5, node: keeps 495, 243 of them as Python
SEEN
