# The few commands of the project; CMake does the work. PRESET picks release, debug, asan or tsan.
PRESET ?= release

.PHONY: configure build all test test-long demo bench parity claims claims-report package format check-format tidy clean

# Where `make parity` finds deepseek-v3.tokenizer.json.gz, tinyshakespeare.txt and gsm8k-*.jsonl.
DATA ?= ../shared/data

configure:
	@scripts/install-packages.sh
	@cmake --preset $(PRESET) >build-configure.log 2>&1 || { cat build-configure.log; rm -f build-configure.log; exit 1; }
	@rm -f build-configure.log

build: configure
	@cmake --build --preset $(PRESET) --target fathom

# Tests and benchmarks too.
all: configure
	@cmake --build --preset $(PRESET)

test: all check-format
	@scripts/install-packages.sh test
	@ctest --preset $(PRESET) -j 2

# The engine for a million steps, a server killed a hundred times, one with ten times the load that it can take and one
# with half an hour of clients that come and go, the tests under the sanitizers, and a million executions of every fuzzer.
test-long: test
	@FATHOM_SOAK_STEPS=1000000 build/$(PRESET)/tests/infer_test --gtest_filter='EngineSoak.*'
	@FATHOM_KILL_ROUNDS=100 build/$(PRESET)/tests/e2e_test --gtest_filter='LedgerKillTest.*:SharedLedgerTest.AKilled*'
	@FATHOM_OVERLOAD_SECONDS=120 build/$(PRESET)/tests/e2e_test --gtest_filter='OverloadTest.*'
	@FATHOM_SOAK_SECONDS=1800 build/$(PRESET)/tests/e2e_test --gtest_filter='ServeSoakTest.*'
	@$(MAKE) --no-print-directory all PRESET=asan && ctest --preset asan -j 2
	@$(MAKE) --no-print-directory all PRESET=tsan && ctest --preset tsan -j 1
	@scripts/fuzz.sh 1000000

# Products beside oneDNN's, inference beside llama.cpp's and ik_llama.cpp's where LLAMA_CPP and IK_LLAMA_CPP are the
# directories of their llama-bench, a training step beside PyTorch's, a step of GRPO beside TRL's, the tokenizer beside Hugging Face's.
bench:
	@scripts/install-packages.sh bench
	@$(MAKE) --no-print-directory all
	@build/$(PRESET)/bench/fathom_gemm_bench --json build/gemm-bf16.json
	@build/$(PRESET)/bench/fathom_gemm_bench --type f32 --isa avx2 --json build/gemm-f32-avx2.json
	@build/$(PRESET)/bench/fathom_gemm_bench --grouped
	@build/$(PRESET)/bench/fathom_kernels_bench
	@bench/inference.py --fathom build/$(PRESET)/fathom $(if $(LLAMA_CPP),--llama-cpp $(LLAMA_CPP)) \
		$(if $(IK_LLAMA_CPP),--ik-llama-cpp $(IK_LLAMA_CPP))
	@bench/training_step.py --fathom build/$(PRESET)/fathom --recipe bf16 --recipe fp8
	@bench/grpo_step.py --fathom build/$(PRESET)/fathom
	@if [ -d $(DATA) ]; then scripts/parity/tokenizer.py speed --data $(DATA) \
		--bench build/$(PRESET)/bench/fathom_tokenizer_bench; \
		zcat $(DATA)/deepseek-v3.tokenizer.json.gz >build/deepseek-v3.tokenizer.json; \
		build/$(PRESET)/bench/fathom_grammar_bench build/deepseek-v3.tokenizer.json; fi

# Against the original implementations, in virtual environments that the scripts make: the goldens are made again and
# compared, transformers loads what the demo trained and what `fathom convert` makes of it, llama.cpp loads its GGUF
# export, the tokenizer is compared on large texts, chat templates of some seventy models are compared with Python's
# Jinja, and OpenAI's client, LangChain and
# lm-evaluation-harness talk to the server. Wants what `make demo` trained.
parity: all
	@[ -d runs/demo/model ] || { echo "runs/demo/model is not there: make demo trains it" >&2; exit 1; }
	@scripts/parity/make_goldens.sh build/parity-venv build/parity-goldens
	@build/parity-venv/bin/python scripts/parity/compare_goldens.py build/parity-goldens tests/golden/model
	@build/parity-venv/bin/python scripts/parity/trained_model.py runs/demo/model
	@build/parity-venv/bin/python scripts/parity/converted_model.py runs/demo/model
	@build/parity-venv/bin/python scripts/parity/reward_model.py runs/demo/model --fathom build/$(PRESET)/fathom
	@scripts/parity/lora_peft.py --fathom build/$(PRESET)/fathom
	@scripts/parity/gguf_llama_cpp.py runs/demo/model --text $(DATA)/tinyshakespeare.txt
	@scripts/parity/tokenizer.py compare --fathom build/$(PRESET)/fathom \
		--bench build/$(PRESET)/bench/fathom_tokenizer_bench --data $(DATA)
	@scripts/parity/chat_templates.py compare --fathom build/$(PRESET)/fathom --data $(DATA)
	@scripts/parity/openai_client.py --fathom build/$(PRESET)/fathom
	@scripts/parity/lm_eval_api.py runs/demo/model --fathom build/$(PRESET)/fathom

# The experiments of docs/claims.md that have no committed log yet, one after the other; stopped at any time, it goes on
# where it was. Pictures and tables are made again from the logs.
claims: build
	@scripts/install-packages.sh claims
	@scripts/claims/claims.py run --fathom build/$(PRESET)/fathom

claims-report:
	@scripts/claims/claims.py report

# build/release/fathom_VERSION_ARCHITECTURE.deb
package: build
	@scripts/install-packages.sh package
	@cd build/$(PRESET) && cpack

demo: build
	@scripts/demo.sh build/$(PRESET)/fathom

format:
	@git ls-files '*.cc' '*.h' | xargs clang-format -i

check-format:
	@git ls-files '*.cc' '*.h' | xargs clang-format --dry-run -Werror

# Configured for it alone, with clang: clang-tidy knows neither g++'s warnings nor what g++ precompiled.
tidy:
	@scripts/install-packages.sh tidy
	@CXX=clang++ cmake --preset release -B build/tidy -DFATHOM_PRECOMPILED_HEADERS=OFF -DFATHOM_UNITY_BUILD=OFF >/dev/null
	@git ls-files 'src/*.cc' | xargs -P 2 -n 1 clang-tidy -p build/tidy --quiet

clean:
	@rm -rf build
