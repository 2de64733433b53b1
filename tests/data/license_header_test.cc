#include "data/license_header.h"

#include <gtest/gtest.h>

namespace fathom {
namespace {

TEST(StripLicenseHeader, TakesTheLicenceOutOfALibraryHeader) {
  EXPECT_EQ(StripLicenseHeader("// Vector -*- C++ -*-\n"
                               "\n"
                               "// Copyright (C) 2001-2022 Somebody.\n"
                               "//\n"
                               "// This file is part of a library; you can redistribute it under\n"
                               "// the terms of the GNU General Public License.\n"
                               "\n"
                               "// Under Section 7 of GPL version 3, you are granted additional\n"
                               "// permissions described in an exception, version\n"
                               "// 3.1, as published by the same.\n"
                               "\n"
                               "/*\n * Permission to use, copy, modify this software\n */\n"
                               "\n"
                               "/** @file stl_vector.h\n *  An internal header.\n */\n"
                               "#ifndef _V\n"),
            "// Vector -*- C++ -*-\n\n"
            "/** @file stl_vector.h\n *  An internal header.\n */\n#ifndef _V\n");
}

TEST(StripLicenseHeader, ATitleInTheSameCommentStays) {
  EXPECT_EQ(StripLicenseHeader("// A queue\n// for one reader.\n//\n// Copyright (C) 1999\n"
                               "// Somebody.\n//\n// More of it.\n\nint x;\n"),
            "// A queue\n// for one reader.\nint x;\n");
  // Without a line between them, what is a title and what is not cannot be told.
  EXPECT_EQ(StripLicenseHeader("// A queue\n// Copyright (C) 1999\nint x;\n"), "int x;\n");
  EXPECT_EQ(StripLicenseHeader("/* A queue.\n\n   Copyright (C) 1999 */\nint x;\n"), "int x;\n");
  EXPECT_EQ(StripLicenseHeader("/* A queue. */\n/* Copyright (C) 1999 */\nint x;\n"),
            "/* A queue. */\nint x;\n");
}

TEST(StripLicenseHeader, GoesOnToTheEndOfTheParagraph) {
  EXPECT_EQ(StripLicenseHeader("// SPDX-License-Identifier: MIT\n// and a last line\nint x;\n"),
            "int x;\n");
  EXPECT_EQ(StripLicenseHeader("/* (c) all rights reserved */ int x;\n"), " int x;\n");
}

TEST(StripLicenseHeader, LeavesOtherTextWhole) {
  for (const char* text : {"", "\n", "int x;  // copyright\n", "// A queue.\nint x;\n",
                           "/** Docs */\nint x;", "/* copyright, never closed\nint x;\n",
                           "#include <a>\n// License\n", "Copyright in prose."})
    EXPECT_EQ(StripLicenseHeader(text), text);
}

TEST(StripLicenseHeader, AFileOfNothingElseBecomesEmpty) {
  EXPECT_EQ(StripLicenseHeader("// Copyright nobody"), "");
  EXPECT_EQ(StripLicenseHeader("/* Licence */\n\n"), "");
}

TEST(StripLicenseHeader, KeepsWhatFollowsAfterCode) {
  EXPECT_EQ(StripLicenseHeader("// Copyright\n\nint x;\n// The license of y\nint y;\n"),
            "int x;\n// The license of y\nint y;\n");
}

}  // namespace
}  // namespace fathom
