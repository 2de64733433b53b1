#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/error.h"
#include "cli/tokenize.h"
#include "cli/train.h"

int main(int argc, char** argv) {
  CLI::App app("Fathom trains, serves and costs DeepSeek-style language models.", "fathom");
  app.require_subcommand(1);
  fathom::AddTokenizeCommand(app);
  fathom::AddTrainCommand(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const fathom::UsageError& error) {
    fmt::print(stderr, "fathom: error: {}\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "fathom: error: {}\n", error.what());
    return 1;
  }
  return 0;
}
