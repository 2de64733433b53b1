# The few commands of the project; CMake does the work. PRESET picks release, debug, asan or tsan.
PRESET ?= release

.PHONY: build test demo format check-format tidy clean

build:
	@scripts/install-packages.sh
	@cmake --preset $(PRESET) >build-configure.log 2>&1 || { cat build-configure.log; rm -f build-configure.log; exit 1; }
	@rm -f build-configure.log
	@cmake --build --preset $(PRESET)

test: build check-format
	@ctest --preset $(PRESET) -j 2

demo: build
	@scripts/demo.sh build/$(PRESET)/fathom

format:
	@git ls-files '*.cc' '*.h' | xargs clang-format -i

check-format:
	@git ls-files '*.cc' '*.h' | xargs clang-format --dry-run -Werror

tidy: build
	@git ls-files 'src/*.cc' | xargs -P 2 -n 1 clang-tidy -p build/$(PRESET) --quiet

clean:
	@rm -rf build
